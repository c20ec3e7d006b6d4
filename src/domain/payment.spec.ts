import { createHash } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { type DecisionRecord, nonceOf } from './payment.js';

describe('nonceOf', () => {
  // Members on purpose in another order than the canonical one.
  const record: DecisionRecord = {
    version: 'bursar.decision.v1',
    paymentId: 'pay_01h2xcejqtf2nbrexx3vqjhp41',
    treasuryId: 'trs_01h2xcejqtf2nbrexx3vqjhp41',
    grants: ['grt_01h2xcejqtf2nbrexx3vqjhp41', 'grt_01h2xcejqtf2nbrexx3vqjhp42'],
    request: { method: 'GET', url: 'https://api.example.com/data/7' },
    resource: 'https://api.example.com/data/7',
    x402Version: 2,
    option: '0',
    left: [{ option: '1', code: 'not_preferred' }],
    requirementHash: 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    network: 'eip155:84532',
    asset: '0x036CbD53842c5426634e7929541eC2318f3dCF7e',
    from: '0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266',
    to: '0x70997970C51812dc3A010C7d01b50e0d17dc79C8',
    value: '50000',
    validAfter: '0',
    validBefore: '1795255260',
    decidedAt: '2026-11-21T10:00:00.000Z',
  };
  const json =
    '{"asset":"0x036CbD53842c5426634e7929541eC2318f3dCF7e","decidedAt":"2026-11-21T10:00:00.000Z",' +
    '"from":"0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266","grants":["grt_01h2xcejqtf2nbrexx3vqjhp41",' +
    '"grt_01h2xcejqtf2nbrexx3vqjhp42"],"left":[{"code":"not_preferred","option":"1"}],' +
    '"network":"eip155:84532","option":"0","paymentId":"pay_01h2xcejqtf2nbrexx3vqjhp41",' +
    '"request":{"method":"GET","url":"https://api.example.com/data/7"},"requirementHash":' +
    '"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad","resource":"https://api.example.com/data/7",' +
    '"to":"0x70997970C51812dc3A010C7d01b50e0d17dc79C8","treasuryId":"trs_01h2xcejqtf2nbrexx3vqjhp41",' +
    '"validAfter":"0","validBefore":"1795255260","value":"50000","version":"bursar.decision.v1","x402Version":2}';

  it('is the SHA-256 of the canonical record, so that a third party recomputes it from the log', () => {
    expect(nonceOf(record)).toEqual({
      json,
      nonce: `0x${createHash('sha256').update(json, 'utf8').digest('hex')}`,
    });
  });

  it('never changes between versions, or logs of old payments could not be checked', () => {
    expect(nonceOf(record).nonce).toBe(
      '0x868a9c4fdb82141d8e68485d674d3b10e0e4f2060c4143b52fea320aeb56f9e5',
    );
  });

  it.each(Object.keys(record) as (keyof DecisionRecord)[])(
    'is another one when %s is another, so that no two decisions share a nonce',
    (member) => {
      const changed = {
        ...record,
        [member]: typeof record[member] === 'number' ? 1 : `${String(record[member])}0`,
      } as DecisionRecord;
      expect(nonceOf(changed).nonce).not.toBe(nonceOf(record).nonce);
    },
  );
});
