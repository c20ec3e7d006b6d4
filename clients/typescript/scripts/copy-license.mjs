// The licence stands once, at the top of the repository; the package carries a copy.
import { copyFile } from 'node:fs/promises';

await copyFile(
  new URL('../../../LICENSE', import.meta.url),
  new URL('../LICENSE', import.meta.url),
);
