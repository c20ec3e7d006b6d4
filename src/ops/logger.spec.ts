import { Writable } from 'node:stream';
import { describe, expect, it } from '@jest/globals';
import { createLogger, NestLogger } from './logger.js';

const CANARY = 'canary-7f3a';

/** A logger and the lines that it wrote. */
function memoryLogger(level = 'trace') {
  const lines: string[] = [];
  const destination = new Writable({
    write(chunk, _encoding, done) {
      lines.push(...String(chunk).trimEnd().split('\n'));
      done();
    },
  });
  return { logger: createLogger(level, destination), lines };
}

/** The only line that `write` logs. */
function lineOf(write: (logger: ReturnType<typeof createLogger>) => void): string {
  const { logger, lines } = memoryLogger();
  write(logger);
  expect(lines).toHaveLength(1);
  return lines[0] ?? '';
}

const SECRETS = [
  'authorization',
  'token',
  'mnemonic',
  'walletMnemonic',
  'masterSecret',
  'signature',
  'privateKey',
  'password',
];

describe('createLogger', () => {
  it('writes one JSON object a line, with the service and what was logged', () => {
    const line = lineOf((logger) => logger.info({ grantId: 'grt_1' }, 'two\nlines'));
    expect(JSON.parse(line)).toMatchObject({
      level: 30,
      service: 'bursar',
      grantId: 'grt_1',
      msg: 'two\nlines',
    });
  });

  it('writes lines for people on a terminal, and nothing in them steers it', () => {
    const lines: string[] = [];
    const logger = createLogger('info', { write: (line: string) => void lines.push(line) }, true);
    logger.warn(
      { room: 'access', token: CANARY, path: '/v1/\u001b[2Jpay\u202e' },
      'not \u001b[31mred',
    );
    const text = lines.join('');
    expect(text).toMatch(/^\[\d\d:\d\d:\d\d\] WARN: not \\u001b\[31mred\n/);
    expect(text).toContain('room: "access"');
    expect(text).not.toContain('"level"');
    expect(text).not.toContain(CANARY);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
    expect(text).not.toMatch(/[\u001b\u202e]/);
  });

  it('writes nothing below its level', () => {
    const { logger, lines } = memoryLogger('warn');
    logger.info('unwanted');
    logger.warn('wanted');
    expect(lines.map((line) => JSON.parse(line).msg)).toEqual(['wanted']);
  });

  it.each(SECRETS)('never writes a %s that stands in a logged object', (member) => {
    const line = lineOf((logger) =>
      logger.info({ body: { [member]: CANARY, holder: 'agent-7' } }, 'minted'),
    );
    expect(line).not.toContain(CANARY);
    expect(JSON.parse(line).body).toEqual({ [member]: '[redacted]', holder: 'agent-7' });
  });

  it.each(SECRETS)('never writes a %s of a child logger', (member) => {
    const line = lineOf((logger) => logger.child({ body: { [member]: CANARY } }).info('minted'));
    expect(line).toContain('minted');
    expect(line).not.toContain(CANARY);
  });

  it.each([
    ['at the top', { token: CANARY }],
    ['two levels down', { answer: { grant: { token: CANARY } } }],
    ['in a list', { grants: [{ token: CANARY }] }],
  ])('never writes a token that stands %s', (_where, logged) => {
    expect(lineOf((logger) => logger.info(logged))).not.toContain(CANARY);
  });

  it('never writes the headers or the query of a request', () => {
    const req = {
      id: 'req-1',
      method: 'POST',
      url: `/v1/payments?token=${CANARY}`,
      headers: {
        authorization: `DPoP ${CANARY}`,
        dpop: CANARY,
        cookie: CANARY,
        'x-payment': CANARY,
      },
      body: { token: CANARY },
    };
    const line = lineOf((logger) => logger.info({ req, res: { statusCode: 201, raw: CANARY } }));
    expect(line).not.toContain(CANARY);
    expect(JSON.parse(line)).toMatchObject({
      req: { id: 'req-1', method: 'POST', path: '/v1/payments' },
      res: { statusCode: 201 },
    });
  });

  it("never writes an error's own members, such as the query or the payload it was thrown over", () => {
    const error = Object.assign(new Error('connection lost', { cause: { password: CANARY } }), {
      code: 'ECONNRESET',
      query: `INSERT ${CANARY}`,
      parameters: [CANARY],
      payload: { signature: CANARY },
    });
    const line = lineOf((logger) => logger.error({ err: error }, 'failed'));
    expect(line).not.toContain(CANARY);
    expect(JSON.parse(line).err).toEqual({
      type: 'Error',
      code: 'ECONNRESET',
      message: 'connection lost',
      stack: error.stack,
    });
  });
});

describe('NestLogger', () => {
  it("gives the framework's chatter and the service's own words their levels", () => {
    const { logger, lines } = memoryLogger();
    const nest = new NestLogger(logger);
    nest.log('Mapped {/v1/grants, POST} route', 'RouterExplorer');
    nest.log('listening', 'main');
    nest.warn('slow', 'ledger');
    nest.error('broken', 'the stack', 'ledger');
    nest.debug('detail', 'ledger');
    expect(
      lines.map((line) => {
        const { level, room, msg } = JSON.parse(line);
        return [level, room, msg];
      }),
    ).toEqual([
      [20, 'RouterExplorer', 'Mapped {/v1/grants, POST} route'],
      [30, 'main', 'listening'],
      [40, 'ledger', 'slow'],
      [50, 'ledger', 'broken'],
      [20, 'ledger', 'detail'],
    ]);
  });
});
