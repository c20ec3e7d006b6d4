import type { Service } from '../../src/service.js';

/** The metrics of a process, as a scraper gets them. */
export async function metricsOf({ metricsUrl }: Service): Promise<string> {
  if (metricsUrl === undefined) throw new Error('it serves no metrics');
  const response = await fetch(metricsUrl);
  const text = await response.text();
  if (response.status !== 200) throw new Error(`no metrics: ${response.status} ${text}`);
  return text;
}
