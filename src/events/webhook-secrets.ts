import { randomBytes } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { Webhook } from 'standardwebhooks';
import { open, seal } from '../access/keys.js';
import { MasterSecret } from '../access/master-secret.js';

/** Bytes of a secret. Standard Webhooks asks for 24 to 64. */
const SECRET_BYTES = 32;

/** Secrets of webhooks: made here, shown once, kept sealed under the master secret. */
@Injectable()
export class WebhookSecrets {
  constructor(private readonly masterSecret: MasterSecret) {}

  /** A fresh secret, as a receiver gets it and as it is stored. */
  make(webhookId: string): { readonly secret: string; readonly sealed: string } {
    const secret = `whsec_${randomBytes(SECRET_BYTES).toString('base64')}`;
    return { secret, sealed: seal(secret, this.key(), webhookId) };
  }

  /**
   * The headers of Standard Webhooks, signed with every secret that holds now.
   *
   * @param sealed - the secrets as they are stored, the newest first.
   */
  headers(webhookId: string, sealed: readonly string[], messageId: string, at: Date, body: string) {
    const signatures = sealed.map((each) =>
      new Webhook(open(each, this.key(), webhookId)).sign(messageId, at, body),
    );
    return {
      'webhook-id': messageId,
      'webhook-timestamp': String(Math.floor(at.getTime() / 1_000)),
      'webhook-signature': signatures.join(' '),
    };
  }

  private key(): Buffer {
    return this.masterSecret.derive('webhooks');
  }
}
