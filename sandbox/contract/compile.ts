/**
 * Compiles TestUsdc.sol and writes TestUsdc.json beside it. The JSON is committed, so whoever runs
 * the sandbox needs no compiler; CI runs this with `--check` to see that it still fits the source.
 *
 *     node dist/sandbox/contract/compile.js           writes sandbox/contract/TestUsdc.json
 *     node dist/sandbox/contract/compile.js --check   exits 1 if the committed file differs
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import solc from 'solc';

const CONTRACT_NAME = 'TestUsdc';
const SOURCE_PATH = `sandbox/contract/${CONTRACT_NAME}.sol`;
const ARTIFACT_PATH = `sandbox/contract/${CONTRACT_NAME}.json`;

/** Everything that has a say in the bytecode is fixed here, so that any machine gets these bytes. */
const SETTINGS = {
  evmVersion: 'cancun',
  optimizer: { enabled: true, runs: 200 },
  // The metadata hash covers comments and paths too: without it only code changes the bytecode.
  metadata: { bytecodeHash: 'none', appendCBOR: false },
  outputSelection: {
    [SOURCE_PATH]: {
      [CONTRACT_NAME]: [
        'abi',
        'evm.deployedBytecode.object',
        'evm.deployedBytecode.immutableReferences',
        'evm.deployedBytecode.linkReferences',
      ],
    },
  },
};

/** The part of solc's standard JSON output that is read here. */
interface CompilerOutput {
  errors?: { severity: string; formattedMessage: string }[];
  contracts?: Record<
    string,
    Record<
      string,
      {
        abi: unknown[];
        evm: {
          deployedBytecode: {
            object: string;
            immutableReferences?: object;
            linkReferences?: object;
          };
        };
      }
    >
  >;
}

/** The folder that holds the source. Run from dist/ that is not this file's own: tsc copies no .sol. */
function findRepositoryRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, SOURCE_PATH))) {
    const parent = dirname(folder);
    if (parent === folder) throw new Error(`${SOURCE_PATH} not found above ${import.meta.url}`);
    folder = parent;
  }
  return folder;
}

/** @returns the artifact's text, ending in a newline. Warnings count as errors. */
function compile(source: string): string {
  const input = {
    language: 'Solidity',
    sources: { [SOURCE_PATH]: { content: source } },
    settings: SETTINGS,
  };
  const output = JSON.parse(solc.compile(JSON.stringify(input))) as CompilerOutput;
  const errors = output.errors ?? [];
  if (errors.length > 0) throw new Error(errors.map((e) => e.formattedMessage).join('\n'));

  const contract = output.contracts?.[SOURCE_PATH]?.[CONTRACT_NAME];
  if (contract === undefined) throw new Error(`solc returned no contract ${CONTRACT_NAME}`);
  const { object, immutableReferences, linkReferences } = contract.evm.deployedBytecode;
  // Both are holes that a deployment fills. anvil_setCode deploys nothing: they would stay zero.
  if (Object.keys({ ...immutableReferences, ...linkReferences }).length > 0) {
    throw new Error(`${CONTRACT_NAME} has immutables or links: it cannot be placed as code`);
  }
  const artifact = {
    contractName: CONTRACT_NAME,
    compiler: { version: solc.version() as string, settings: SETTINGS },
    abi: contract.abi,
    deployedBytecode: `0x${object}`,
  };
  return `${JSON.stringify(artifact, null, 2)}\n`;
}

const root = findRepositoryRoot();
const artifactPath = join(root, ARTIFACT_PATH);
const compiled = compile(readFileSync(join(root, SOURCE_PATH), 'utf8'));

if (process.argv.includes('--check')) {
  const committed = existsSync(artifactPath) ? readFileSync(artifactPath, 'utf8') : undefined;
  if (committed === compiled) {
    console.log(`${ARTIFACT_PATH} fits ${SOURCE_PATH}`);
  } else {
    const what = committed === undefined ? 'is missing' : `differs from ${SOURCE_PATH} compiled`;
    console.error(`${ARTIFACT_PATH} ${what}: run node dist/sandbox/contract/compile.js`);
    process.exitCode = 1;
  }
} else {
  writeFileSync(artifactPath, compiled);
  console.log(`wrote ${ARTIFACT_PATH}`);
}
