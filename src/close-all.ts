/**
 * Closes what was opened, the last first. One that fails does not keep the others open.
 *
 * @throws the first failure, once everything else is closed.
 */
export async function closeAll(opened: readonly (() => Promise<unknown>)[]): Promise<void> {
  const failures: unknown[] = [];
  for (const close of [...opened].reverse()) {
    await close().catch((error: unknown) => failures.push(error));
  }
  if (failures.length > 0) throw failures[0];
}
