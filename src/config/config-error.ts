/** An unusable configuration. The message has one line a problem: variable, what is wrong, remedy. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  constructor(readonly problems: readonly string[]) {
    super(problems.join('\n'));
  }
}
