import { availableParallelism, cpus, totalmem } from 'node:os';

/** The machine that something was measured on. */
export interface Machine {
  readonly cpus: number;
  readonly model: string;
  readonly memoryGiB: number;
  readonly node: string;
}

/** This machine. */
export function thisMachine(): Machine {
  return {
    cpus: availableParallelism(),
    model: cpus()[0]?.model ?? 'unknown',
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.version,
  };
}

/** A machine as people read it. */
export function machineText({ cpus, model, memoryGiB, node }: Machine): string {
  return `${cpus} x ${model}, ${memoryGiB} GiB, node ${node}`;
}
