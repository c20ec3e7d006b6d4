// Stands for `@jest/globals` in suites that native-runner.mjs runs. Each suite has functions of its own, but a module
// that several suites share is loaded once: what it imported forwards to those of the running suite.

let current = {};

/** @param globals those of the suite that is about to run, by name */
export function setGlobals(globals) {
  current = globals;
}

/** The part of the object `jest` that does not need Jest's loader. */
export function jestFor({ moduleMocker, fakeTimersModern }, config) {
  const timers = new fakeTimersModern.constructor({ config, global: globalThis });
  return {
    useFakeTimers: (options) => timers.useFakeTimers(options),
    useRealTimers: () => timers.useRealTimers(),
    fn: moduleMocker.fn.bind(moduleMocker),
    spyOn: moduleMocker.spyOn.bind(moduleMocker),
    restoreAllMocks: moduleMocker.restoreAllMocks.bind(moduleMocker),
    setTimeout: (milliseconds) => {
      globalThis[Symbol.for('TEST_TIMEOUT_SYMBOL')] = milliseconds;
    },
  };
}

const forwarded = (name) =>
  new Proxy(() => {}, {
    apply: (_target, self, parameters) => Reflect.apply(current[name], self, parameters),
    get: (_target, property) => current[name][property],
  });

export const afterAll = forwarded('afterAll');
export const afterEach = forwarded('afterEach');
export const beforeAll = forwarded('beforeAll');
export const beforeEach = forwarded('beforeEach');
export const describe = forwarded('describe');
export const expect = forwarded('expect');
export const it = forwarded('it');
export const jest = forwarded('jest');
export const test = forwarded('test');
