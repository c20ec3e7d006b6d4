/** The variables that agents and people set for the commands. */
export interface CallerEnvironment {
  /** `BURSAR_URL`; empty is unset. */
  readonly url: string | undefined;
  /** `BURSAR_TOKEN`; empty is unset. */
  readonly token: string | undefined;
  /** `XDG_CONFIG_HOME`; empty is unset. */
  readonly configHome: string | undefined;
}

/** Reads those variables. */
export function callerEnvironment(): CallerEnvironment {
  const { BURSAR_URL, BURSAR_TOKEN, XDG_CONFIG_HOME } = process.env;
  return {
    url: BURSAR_URL || undefined,
    token: BURSAR_TOKEN || undefined,
    configHome: XDG_CONFIG_HOME || undefined,
  };
}
