import { loadConfig } from '../../src/config/config.js';

/** The bounds of a service that says nothing else. */
export const { bounds: BOUNDS } = loadConfig({});
