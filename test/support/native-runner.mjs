// Runs a suite with Jest's own framework, jest-circus, but loads its modules as Node does, into the process itself.
// Jest would load all of a service's modules anew for each suite, which takes longer than most suites run.
// A module that was loaded for one suite is therefore the same for the next suite of that process.
import { createRequire, register } from 'node:module';
import { pathToFileURL } from 'node:url';
import { jestFor, setGlobals } from './jest-globals.mjs';

const require = createRequire(import.meta.url);
const runWithCircus = require('jest-circus/runner').default;

register('./typescript-hooks.mjs', import.meta.url);
process.setSourceMapsEnabled(true);

/** The function that `testRunner` of the configuration of Jest names. */
export default function run(globalConfig, config, environment, _runtime, path, sendMessageToJest) {
  // Jest's map of sources knows only what Jest itself transforms; Node's knows what the hooks transform.
  Error.prepareStackTrace = undefined;
  delete globalThis[Symbol.for('EVENT_HANDLERS')];
  delete globalThis[Symbol.for('TEST_TIMEOUT_SYMBOL')];
  return runWithCircus(
    globalConfig,
    config,
    { ...environment, global: globalThis, handleTestEvent: undefined },
    {
      // The framework keeps its state in its module: each suite gets a new one.
      requireInternalModule: (file) => {
        delete require.cache[file];
        return require(file);
      },
      requireModule: (_from, name) => require(name),
      setGlobalsForRuntime: (globals) =>
        setGlobals({ ...globals, jest: jestFor(environment, config) }),
      unstable_shouldLoadAsEsm: () => true,
      unstable_importModule: (file) => import(pathToFileURL(file).href),
      enterTestCode() {},
      leaveTestCode() {},
    },
    path,
    sendMessageToJest,
  );
}
