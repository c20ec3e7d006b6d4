import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';

/** Where the browsable page is. */
export const DOCS_PATH = '/docs';

/** Ours instead of the generator's: no bar of its own, our type and colours, sections that can be scanned. */
const STYLE = `
  :root { --ink: #16202b; --soft: #5b6875; --line: #e3e8ee; --accent: #0b6e4f; --ground: #fbfcfd; }
  body { background: var(--ground); }
  .swagger-ui .topbar { display: none; }
  .swagger-ui, .swagger-ui .info .title, .swagger-ui .info p, .swagger-ui .info li, .swagger-ui .info a, .swagger-ui .opblock-tag small,
  .swagger-ui .opblock-description-wrapper p, .swagger-ui .markdown p, .swagger-ui .renderedMarkdown p, .swagger-ui select, .swagger-ui .opblock-tag, .swagger-ui .opblock .opblock-summary-description,
  .swagger-ui .btn, .swagger-ui table thead tr td, .swagger-ui table thead tr th, .swagger-ui .tab li,
  .swagger-ui .parameter__name, .swagger-ui .response-col_status, .swagger-ui label, .swagger-ui .scheme-container {
    font-family: system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', sans-serif; color: var(--ink);
  }
  .swagger-ui .wrapper { max-width: 1080px; }
  .swagger-ui .info { margin: 36px 0 20px; }
  .swagger-ui .info .title { font-size: 34px; font-weight: 700; letter-spacing: -0.02em; }
  .swagger-ui .info .title small { background: var(--accent); border-radius: 6px; top: -8px; }
  .swagger-ui .info .title small.version-stamp { background: var(--soft); }
  .swagger-ui .info p, .swagger-ui .info li { font-size: 15px; line-height: 1.55; color: var(--ink); }
  .swagger-ui .info li { margin: 4px 0; }
  .swagger-ui .info code, .swagger-ui .markdown code, .swagger-ui .renderedMarkdown code { background: #eef2f6; color: var(--ink); }
  .swagger-ui .scheme-container { background: none; box-shadow: none; padding: 0 0 16px; margin: 0; border-bottom: 1px solid var(--line); }
  .swagger-ui .opblock-tag { font-size: 20px; font-weight: 650; border-bottom: 1px solid var(--line); padding: 16px 4px 10px; }
  .swagger-ui .opblock-tag small { font-size: 14px; color: var(--soft); }
  .swagger-ui .opblock { box-shadow: none; border: 1px solid var(--line) !important; border-radius: 8px; background: #fff !important; }
  .swagger-ui .opblock .opblock-summary { border-color: var(--line) !important; padding: 6px 10px; }
  .swagger-ui .opblock .opblock-summary-method { border-radius: 6px; min-width: 68px; padding: 5px 0; font-size: 12px; text-shadow: none; }
  .swagger-ui .opblock .opblock-summary-path { font-size: 14px; font-weight: 600; }
  .swagger-ui .opblock .opblock-summary-description { font-size: 14px; color: var(--soft); text-align: right; }
  .swagger-ui .opblock.opblock-post .opblock-summary-method { background: var(--accent); }
  .swagger-ui .opblock.opblock-get .opblock-summary-method { background: #2b5f9e; }
  .swagger-ui .opblock.opblock-patch .opblock-summary-method { background: #8a5a00; }
  .swagger-ui .body-param__text { min-height: 430px; }
  .swagger-ui .response-col_links { display: none; }
  .swagger-ui .btn.authorize { color: var(--accent); border-color: var(--accent); }
  .swagger-ui .btn.authorize svg { fill: var(--accent); }
  .swagger-ui .btn.execute { background: var(--accent); border-color: var(--accent); color: #fff; }
`;

/**
 * Serves the OpenAPI document at `/openapi.json` and as a page at {@link DOCS_PATH}, where requests can be tried.
 * Swagger UI, because it can send requests and needs no other Node.js than the service does.
 *
 * @param document - builds the document, when somebody asks for it first: the start does not wait for it.
 */
export function serveDocs(app: NestFastifyApplication, document: () => OpenAPIObject): void {
  SwaggerModule.setup(DOCS_PATH.slice(1), app, document, {
    jsonDocumentUrl: 'openapi.json',
    customSiteTitle: 'Bursar API',
    customCss: STYLE,
    swaggerOptions: {
      docExpansion: 'list',
      defaultModelsExpandDepth: -1,
      displayOperationId: false,
      displayRequestDuration: true,
      persistAuthorization: true,
      tryItOutEnabled: true,
    },
  });
}
