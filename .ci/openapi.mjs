// Lints the published contract (npm run openapi; needs dist/). `--print` writes the document to stdout.
// Neither a database nor a network is needed: Nest's preview mode makes no provider.
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { createConfig, formatProblems, lintFromString } from '@redocly/openapi-core';
import { AppModule } from '../dist/src/app.module.js';
import { openApiDocument } from '../dist/src/http/openapi.js';

/** Beyond the recommended ones. */
const RULES = {
  'operation-singular-tag': 'error',
  'operation-tag-defined': 'error',
  'tag-description': 'error',
  'no-invalid-media-type-examples': 'error',
  'no-invalid-schema-examples': 'error',
};

const app = await NestFactory.create(AppModule.of({}, {}, {}), new FastifyAdapter(), {
  preview: true,
  logger: false,
});
const document = openApiDocument(app, { publicUrl: undefined, token: undefined });
if (process.argv.includes('--print')) {
  process.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
} else {
  const config = await createConfig({ extends: ['recommended-strict'], rules: RULES });
  const problems = await lintFromString({
    source: JSON.stringify(document),
    absoluteRef: 'openapi.json',
    config,
  });
  formatProblems(problems, {
    totals: { errors: problems.length, warnings: 0, ignored: 0 },
    version: '',
  });
  process.exitCode = problems.length > 0 ? 1 : 0;
}
