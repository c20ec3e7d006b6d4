import { Counter, collectDefaultMetrics, Registry } from 'prom-client';
import type { Answer } from './answers.js';

/** The path of the metrics on the gateway's own port, for callers on the same machine. */
export const METRICS_PATH = '/metrics';

/** Counts of what a gateway answered. */
export class GatewayCounts {
  readonly #registry = new Registry();
  readonly #answers = new Counter({
    name: 'bursar_gateway_answers_total',
    help: 'Answers by operation and outcome: required (402), free, and the ends of paid requests',
    labelNames: ['operation', 'outcome'],
    registers: [this.#registry],
  });

  constructor() {
    collectDefaultMetrics({ register: this.#registry });
  }

  /** Counts an answer. Operations are the document's, so that there are only so many. */
  answered(operation: string, outcome: string): void {
    this.#answers.inc({ operation, outcome });
  }

  async page(): Promise<Answer> {
    return {
      status: 200,
      headers: [
        ['content-type', this.#registry.contentType],
        ['cache-control', 'no-store'],
      ],
      body: Buffer.from(await this.#registry.metrics()),
    };
  }
}
