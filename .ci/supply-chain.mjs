// Guards the supply chain: exact versions, no install script beyond the allow list of
// package.json ("allowScripts"), a Software Bill of Materials that can be made, and no known
// vulnerability of what the service runs on, where the registry can be asked.
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

const root = new URL('../', import.meta.url);
const read = (name) => JSON.parse(readFileSync(new URL(name, root), 'utf8'));
const manifest = read('package.json');
const lock = read('package-lock.json');
const problems = [];

for (const file of ['package.json', ...manifest.workspaces.map((path) => `${path}/package.json`)]) {
  const { dependencies, devDependencies } = read(file);
  for (const [name, version] of Object.entries({ ...dependencies, ...devDependencies })) {
    if (!/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version)) {
      problems.push(`${file}: ${name} is "${version}"; pin one exact version`);
    }
  }
}

for (const [path, { hasInstallScript, integrity, resolved, link }] of Object.entries(
  lock.packages,
)) {
  const name = path.split('node_modules/').at(-1);
  if (hasInstallScript && manifest.allowScripts[name] === undefined) {
    problems.push(
      `${name} has an install script; read it, then enter it in "allowScripts" of package.json`,
    );
  }
  // Optional packages of other platforms may be named without either; they are never installed here.
  if (resolved !== undefined && integrity === undefined && !link && path !== '') {
    problems.push(`package-lock.json: ${name} has no integrity hash`);
  }
}

// The whole tree: with --omit dev, npm leaves out what development tools use as well. Some of these ask for
// another TypeScript as a peer, which they never load; npm would list nothing at all for that.
const sbom = JSON.parse(
  execFileSync('npm', ['sbom', '--sbom-format', 'cyclonedx', '--legacy-peer-deps'], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
    stdio: ['ignore', 'pipe', 'inherit'],
  }),
);
const components = new Set(
  sbom.components.map(({ group, name }) => (group ? `${group}/${name}` : name)),
);
for (const name of Object.keys(manifest.dependencies)) {
  if (!components.has(name)) problems.push(`npm sbom: ${name} is not in the bill of materials`);
}

const audit = spawnSync('npm', ['audit', '--omit', 'dev', '--json'], {
  cwd: root,
  encoding: 'utf8',
});
let found;
try {
  found = JSON.parse(audit.stdout).metadata?.vulnerabilities;
} catch {
  // No JSON: the registry could not be asked, as below.
}
if (found === undefined) {
  console.log(
    'npm audit: this registry has no advisories to ask for; ask another one before a release',
  );
} else if (found.total > 0) {
  problems.push(`npm audit: ${found.total} known vulnerabilities; see: npm audit --omit dev`);
}

for (const problem of problems) console.error(problem);
if (problems.length > 0) process.exit(1);
console.log(`supply chain: ${components.size} components, every install script known`);
