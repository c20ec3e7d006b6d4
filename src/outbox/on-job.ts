import { Injectable, type OnModuleInit, SetMetadata } from '@nestjs/common';
import { DiscoveryService, MetadataScanner, Reflector } from '@nestjs/core';
import type { JobName, JobPayload } from './jobs.js';
import { Queues } from './queues.js';

const JOB = Symbol('job');

/** Note of {@link OnJob} on a method. */
interface JobMark<Name extends JobName = JobName> {
  readonly job: Name;
  readonly everyMs: number | undefined;
}

type Handler = (payload: unknown) => Promise<void>;

/**
 * Marks the method of a provider that does a job. It gets the job's payload, and is idempotent: a job may be done twice.
 *
 * @param everyMs - has the job, whose payload is empty, done so often, once over all workers.
 */
export function OnJob<Name extends JobName>(
  job: Name,
  { everyMs }: { readonly everyMs?: number } = {},
) {
  return SetMetadata<symbol, JobMark<Name>>(JOB, { job, everyMs }) as <
    Method extends (payload: JobPayload<Name>) => Promise<void>,
  >(
    target: object,
    key: string | symbol,
    descriptor: TypedPropertyDescriptor<Method>,
  ) => void;
}

/** Tells the queues which method does which job, see {@link OnJob}. */
@Injectable()
export class JobMethods implements OnModuleInit {
  constructor(
    private readonly discovery: DiscoveryService,
    private readonly methods: MetadataScanner,
    private readonly reflector: Reflector,
    private readonly queues: Queues,
  ) {}

  onModuleInit(): void {
    const instances = new Set(this.discovery.getProviders().map(({ instance }) => instance));
    for (const instance of instances) {
      if (typeof instance !== 'object' || instance === null) continue;
      for (const name of this.methods.getAllMethodNames(Object.getPrototypeOf(instance))) {
        this.register(instance[name] as Handler, instance);
      }
    }
  }

  private register(method: Handler, provider: object): void {
    const mark = this.reflector.get<JobMark | undefined, symbol>(JOB, method);
    if (mark === undefined) return;
    const { job, everyMs } = mark;
    this.queues.handle(job, (payload) => method.call(provider, payload));
    if (everyMs !== undefined) {
      this.queues.schedule(job.replace('.', '-'), job, {} as JobPayload<JobName>, everyMs);
    }
  }
}
