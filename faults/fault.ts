import type { Agents } from './agents.js';
import type { Random } from './random.js';
import type { Queues, Stack } from './stack.js';

/** The running system that a fault is done to. */
export interface Scene {
  readonly stack: Stack;
  readonly agents: Agents;
  readonly random: Random;
  /** Which run of the fault this is, from 0: kinds of one fault take turns. */
  readonly run: number;
  /** The short form, for CI: what is only waited for is shorter. */
  readonly isShort: boolean;
}

/** Outcome of one run. */
export interface Injected {
  /** Which kind of the fault it was, such as `commit sent`. */
  readonly kind: string;
  /** From the fault's end, or from a process's end, until all was well again, in seconds. */
  readonly recoverySeconds: number;
  /** Violations of the table's criterion. */
  readonly failures: readonly string[];
}

/** One row of the table. */
export interface Fault {
  readonly name: string;
  /** The fault in words. */
  readonly what: string;
  /** When it passes, beside 0 violations. */
  readonly pass: string;
  /** How many runs the full form has, and the short one. */
  readonly runs: number;
  readonly shortRuns: number;
  /** Whether the short form also has it with the queues on Postgres, once. */
  readonly shortOnPostgres?: true;
  /** Only where the queues are kept so. */
  readonly queues?: Queues;
  /** Whether Postgres needs a disk that can be filled. */
  readonly smallDisk?: true;
  /** The share of a run's requests that must be answered: the requests that nobody listened to included. */
  readonly answeredShare?: number;
  /** How many of the requests may break off unanswered; any number when left out. */
  readonly dropped?: 0;
  inject(scene: Scene): Promise<Injected>;
}

/** Fails a run that took longer than its bound. */
export function inTime(what: string, seconds: number, bound: number): string[] {
  return seconds <= bound ? [] : [`${what} took ${seconds.toFixed(1)} s, over ${bound} s`];
}

/** Seconds since a moment. */
export function since(began: number): number {
  return (performance.now() - began) / 1_000;
}
