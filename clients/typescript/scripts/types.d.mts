/** The text of src/openapi.ts for an OpenAPI document. */
export function typesOf(document: object): Promise<string>;
