/** Which database a program reads, without the password. */
export function describeDatabase({
  databaseUrl,
  dataDir,
}: {
  readonly databaseUrl?: string | undefined;
  readonly dataDir: string;
}): string {
  if (databaseUrl === undefined) return `reads the embedded database in ${dataDir}`;
  if (!URL.canParse(databaseUrl)) return 'reads the database of DATABASE_URL';
  const { hostname, port, pathname } = new URL(databaseUrl);
  const place = `${hostname || 'this machine'}${port === '' ? '' : `:${port}`}`;
  return `reads the database ${decodeURIComponent(pathname.slice(1))} at ${place}`;
}
