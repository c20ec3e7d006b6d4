import { readFile } from 'node:fs/promises';
import type pg from 'pg';

/** Linux counts CPU time in hundredths of a second, on every architecture Node runs on. */
const TICKS_PER_SECOND = 100;

/** CPU time a process has used so far, in seconds; undefined where there is no /proc, or no process. */
async function cpuSeconds(pid: number): Promise<number | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  // The name in brackets may hold anything; user and system time are the 12th and 13th after it.
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields && (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** CPU time everything on this machine has used so far, in seconds; undefined where there is no /proc. */
export async function busySeconds(): Promise<number | undefined> {
  const stat = await readFile('/proc/stat', 'utf8').catch(() => undefined);
  // cpu user nice system idle iowait irq softirq
  const [, user, nice, system, , , irq, softirq] = stat?.split('\n')[0]?.split(/ +/) ?? [];
  const ticks = [user, nice, system, irq, softirq].map(Number);
  return stat === undefined
    ? undefined
    : ticks.reduce((sum, each) => sum + each, 0) / TICKS_PER_SECOND;
}

/** Resident memory of a process, in MiB; undefined where there is no /proc. */
export async function residentMiB(pid: number): Promise<number | undefined> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => undefined);
  const found = /VmRSS:\s+(\d+) kB/.exec(status ?? '')?.[1];
  return found === undefined ? undefined : Number(found) / 1024;
}

/** The processes of a Postgres on this machine that serve a database, and those that write for all. */
export async function postgresPids(db: pg.Pool): Promise<number[]> {
  const { rows } = await db.query<{ pid: number }>(
    `SELECT pid FROM pg_stat_activity
     WHERE datname = current_database() OR backend_type IN ('walwriter', 'checkpointer', 'background writer')`,
  );
  return rows.map(({ pid }) => pid);
}

/** CPU time by process, in seconds: what was used between two readings. */
export async function cpuOf(pids: readonly number[]): Promise<Map<number, number>> {
  const used = new Map<number, number>();
  for (const pid of pids) {
    const seconds = await cpuSeconds(pid);
    if (seconds !== undefined) used.set(pid, seconds);
  }
  return used;
}

/** The CPU time of all processes of the first reading that are also in the second. */
export function cpuBetween(before: Map<number, number>, after: Map<number, number>): number {
  let sum = 0;
  for (const [pid, seconds] of after) sum += seconds - (before.get(pid) ?? 0);
  return sum;
}
