import { describe, expect, it } from '@jest/globals';
import { hadNoPart } from './two-person.js';

describe('hadNoPart', () => {
  const actors = ['admin:ann', 'grant:grt_root', 'admin:bob'];

  it.each(['admin:cat', 'admin:oidc:ann', 'admin:an', 'admin:ANN'])(
    'lets %s approve',
    (approver) => {
      expect(hadNoPart(approver, actors)).toBe(true);
    },
  );

  it.each(['admin:ann', 'admin:bob'])(
    'keeps %s from approving, who acted in the chain',
    (approver) => {
      expect(hadNoPart(approver, actors)).toBe(false);
    },
  );

  it.each(['grant:grt_root', 'grant:grt_other'])(
    'keeps the holder %s from approving, since whoever was handed its token could be it',
    (approver) => {
      expect(hadNoPart(approver, actors)).toBe(false);
    },
  );
});
