// Type-checks one file of the tree with a guard taken out. A removal that does not compile proves nothing:
// the compiler would have stopped it, and the test may fail for another reason than the missing guard.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';

/** Diagnostics about names that are no longer used: a removal may leave an import or a parameter behind. */
const UNUSED = new Set([6133, 6138, 6192, 6196, 6198, 6199]);

/**
 * @param root the tree's directory, with a trailing slash
 * @returns a function of a file's path and its changed text, which gives the first error of that file, or
 *   undefined. Files that are not TypeScript have none.
 */
export function compiler(root) {
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile);
  const { fileNames, options } = ts.parseJsonConfigFileContent(config, ts.sys, root);
  const changed = new Map();
  let version = 0;
  const host = {
    getScriptFileNames: () => fileNames,
    getScriptVersion: (file) => changed.get(file)?.version ?? '0',
    getScriptSnapshot: (file) => {
      const text = changed.get(file)?.text ?? ts.sys.readFile(file);
      return text === undefined ? undefined : ts.ScriptSnapshot.fromString(text);
    },
    getCurrentDirectory: () => root,
    getCompilationSettings: () => options,
    getDefaultLibFileName: ts.getDefaultLibFilePath,
    fileExists: ts.sys.fileExists,
    readFile: ts.sys.readFile,
    readDirectory: ts.sys.readDirectory,
    directoryExists: ts.sys.directoryExists,
    getDirectories: ts.sys.getDirectories,
  };
  const service = ts.createLanguageService(host);
  return (path, text) => {
    const file = join(root, path);
    if (!file.endsWith('.ts')) return undefined;
    version += 1;
    changed.set(file, { text, version: String(version) });
    const found = [
      ...service.getSyntacticDiagnostics(file),
      ...service.getSemanticDiagnostics(file),
    ].find(({ code }) => !UNUSED.has(code));
    version += 1;
    changed.set(file, { text: readFileSync(file, 'utf8'), version: String(version) });
    return found && ts.flattenDiagnosticMessageText(found.messageText, ' ');
  };
}
