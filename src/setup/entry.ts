/** Entry of one server in a host's configuration. */
export type Entry = Readonly<Record<string, unknown>>;
