// The types of the REST contract, made from a service's OpenAPI document.
import openapiTS, { astToString } from 'openapi-typescript';

const HEADER = `/**
 * Generated from the service's /openapi.json by \`npm run generate\` in clients/typescript. Do not edit.
 */
`;

/** The text of src/openapi.ts for one document. */
export async function typesOf(document) {
  return HEADER + astToString(await openapiTS(document));
}
