import { describe, expect, it } from '@jest/globals';
import { sameHands } from './two-person.js';

describe('sameHands', () => {
  const chain = ['admin:ann', 'grant:grt_root'];

  it('lets somebody approve who had no part in the payment', () => {
    expect(sameHands('admin:bob', chain, 'grant:grt_child')).toBeUndefined();
    expect(sameHands('admin:oidc:ann', chain, 'grant:grt_child')).toBeUndefined();
  });

  it('keeps whoever minted the root grant from approving what it made possible', () => {
    expect(sameHands('admin:ann', chain, 'grant:grt_child')).toBe('minter');
  });

  it('keeps a holder above from approving under the grant it delegated', () => {
    expect(sameHands('grant:grt_root', chain, 'grant:grt_child')).toBe('minter');
  });

  it('keeps whoever asked for the payment from approving it', () => {
    expect(sameHands('grant:grt_child', chain, 'grant:grt_child')).toBe('requester');
  });
});
