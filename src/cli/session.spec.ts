import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { readProfile, removeProfile, writeProfile } from './profile.js';
import { ADMIN_PAYS_NOTHING, accessOf, agentAccess, urlOf } from './session.js';

const SERVICE = 'https://bursar.example.com';

/** A token without a signature: nothing here verifies it. */
function tokenOf(sub: string, jti: string): string {
  const payload = Buffer.from(JSON.stringify({ sub, jti })).toString('base64url');
  return `e30.${payload}.x`;
}

const FIRST = tokenOf('grt_01m8q7zsp80000000000000001', 'a');
const RENEWED = tokenOf('grt_01m8q7zsp80000000000000001', 'b');
const OTHER = tokenOf('grt_01m8q7zsp80000000000000002', 'c');

/** An environment that names no service. */
const NOTHING = { url: undefined, token: undefined, configHome: undefined };

let folder: string;
const before = process.env.XDG_CONFIG_HOME;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bursar-session-'));
  process.env.XDG_CONFIG_HOME = folder;
});

afterEach(() => {
  if (before === undefined) delete process.env.XDG_CONFIG_HOME;
  else process.env.XDG_CONFIG_HOME = before;
  rmSync(folder, { recursive: true });
});

describe('a renewed token', () => {
  it('is stored, unless somebody has logged out or in elsewhere meanwhile', () => {
    writeProfile({ url: SERVICE, token: FIRST });
    const { onToken } = accessOf(NOTHING);
    onToken?.(RENEWED);
    expect(readProfile()).toEqual({ url: SERVICE, token: RENEWED });
    writeProfile({ url: SERVICE, token: OTHER });
    onToken?.(RENEWED);
    expect(readProfile()).toEqual({ url: SERVICE, token: OTHER });
    writeProfile({ url: 'https://other.example.com', token: FIRST });
    onToken?.(RENEWED);
    expect(readProfile()).toEqual({ url: 'https://other.example.com', token: FIRST });
    removeProfile();
    onToken?.(RENEWED);
    expect(readProfile()).toBeUndefined();
  });
});

describe('the access of an agent', () => {
  it("is never an admin's", () => {
    writeProfile({ url: SERVICE, token: tokenOf('admin:ann', 'd') });
    expect(() => agentAccess(NOTHING)).toThrow(ADMIN_PAYS_NOTHING);
    expect(agentAccess({ ...NOTHING, url: SERVICE, token: FIRST }).token).toBe(FIRST);
  });
});

describe('the address of the service', () => {
  it.each(['', '/', '/v1', '/v1/'])('may end in "%s"', (end) => {
    expect(urlOf(`${SERVICE}${end}`)).toBe(SERVICE);
  });
});
