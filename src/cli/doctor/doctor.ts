import { UsageError } from '../../options.js';
import { bold } from '../../terminal.js';
import { coloured, isTable, printFacts, printJson, printLine, printTable } from '../output.js';
import { parseAmountText } from '../parse.js';
import { noAnswer, urlOfWords } from '../request.js';
import { Api, Bursar } from '../sdk.js';
import { ADMIN_PAYS_NOTHING, accessOf, grantOf } from '../session.js';
import { type Exchange, exchange } from './exchange.js';
import { type Finding, finding, ok } from './finding.js';
import { type Price, payFindings, quoteFindings } from './paying.js';
import { probe, redirectFinding, transportFindings } from './probes.js';
import { readTerms } from './terms.js';

/** The options of `bursar doctor`. */
interface DoctorOptions {
  readonly pay?: boolean;
  readonly maxAmount?: string;
  readonly json?: boolean;
}

/** `bursar doctor`: what keeps agents from paying a URL, and what its seller should change. */
export async function doctorCommand(
  words: string,
  options: DoctorOptions,
  stopped: AbortSignal,
): Promise<void> {
  const url = urlOfWords(words);
  const caller = callerAccess();
  const access = caller && grantOf(caller.token) !== undefined ? caller : undefined;
  if (options.pay && !access) {
    const remedy = caller
      ? ADMIN_PAYS_NOTHING
      : 'set BURSAR_URL and BURSAR_TOKEN, or run: npx bursar login';
    throw new UsageError(`--pay needs the token of a grant: ${remedy}`);
  }
  const { findings, price } = await examine(url, options, access, stopped);
  const isPayable = !findings.some(({ level, check }) => level === 'fail' && BLOCKING.test(check));
  if (findings.some(({ level }) => level === 'fail')) process.exitCode = 1;
  const report = { url, payable: isPayable, price: price ?? null, findings };
  if (!isTable(options.json)) return printJson(report);
  printReport(report);
}

/** Checks whose failure means that nobody can pay; others fail for giving something away. */
const BLOCKING = /^(?:answers 402|redirect|x402|v[12] accepts|payable|paid request)/;

type Access = ReturnType<typeof accessOf>;

/** The caller's access; undefined where none is set. A seller needs none. */
function callerAccess(): Access | undefined {
  try {
    return accessOf();
  } catch (error) {
    if (error instanceof UsageError) return undefined;
    throw error;
  }
}

async function examine(
  url: string,
  { pay, maxAmount }: DoctorOptions,
  access: Access | undefined,
  stopped: AbortSignal,
): Promise<{ findings: Finding[]; price?: Price }> {
  const first = await exchange(url, stopped, {
    headers: { origin: 'https://agent.example' },
  }).catch((error: Error & { cause?: Error }) => {
    stopped.throwIfAborted();
    throw new Error(noAnswer(url, error.cause?.message || error.message));
  });
  const redirect = redirectFinding(url, first);
  if (redirect || first.status !== 402) return { findings: [redirect ?? unpaid(first)] };
  const terms = readTerms(first);
  const findings = [ok('answers 402', 'yes'), ...transportFindings(url, first), ...terms.findings];
  if (terms.entries.length === 0) {
    findings.push(
      finding(
        'fail',
        'x402',
        'a 402 without x402 terms',
        'offer v2 in the header and v1 in the body',
      ),
    );
    return { findings };
  }
  findings.push(...(await probe(url, terms, stopped)));
  if (!access) {
    findings.push(
      finding(
        'note',
        'payable by your grant',
        'not asked',
        'set BURSAR_URL and BURSAR_TOKEN of a grant, and Bursar says what it would pay',
      ),
    );
    return { findings };
  }
  const bursar = new Bursar(access);
  const quoted = await quoteFindings(new Api(access), bursar, url, terms);
  findings.push(...quoted.findings);
  if (pay) {
    const most = maxAmount === undefined ? undefined : parseAmountText('--max-amount', maxAmount);
    findings.push(...(await payFindings(bursar, url, terms, most, stopped)));
  }
  return { findings, price: quoted.price };
}

function unpaid({ status }: Exchange): Finding {
  const check = 'answers 402';
  if (status < 300)
    return finding(
      'fail',
      check,
      `${status}: it is free`,
      'answer 402 with the terms where no payment is there',
    );
  if (status === 404 || status === 405)
    return finding('fail', check, `${status}`, 'give the URL of a priced operation that takes GET');
  return finding(
    'fail',
    check,
    `${status}`,
    'answer 402 before anything else is asked: agents have no account with you',
  );
}

function printReport({
  url,
  payable,
  price,
  findings,
}: {
  readonly url: string;
  readonly payable: boolean;
  readonly price: Price | null;
  readonly findings: readonly Finding[];
}): void {
  printFacts([
    ['url', url],
    ['payable', payable ? 'yes' : 'no'],
    ['by', price && `${price.holder}: ${price.decision}`],
    ['price', price?.amount && `${price.amount} ${price.currency ?? ''}`],
  ]);
  printLine('');
  printTable<Finding>(
    findings,
    [
      { title: '', of: ({ level }) => level, style: coloured },
      { title: 'check', of: ({ check }) => check },
      { title: 'found', of: ({ found }) => found, shrinks: true },
    ],
    'nothing was found',
  );
  const changes = findings.filter(({ change, level }) => change !== undefined && level !== 'ok');
  if (changes.length === 0) return;
  printLine(`\n${bold('What to change:')}`);
  for (const { check, level, change } of changes) {
    printLine(`  ${coloured(level)} ${check}: ${change}`);
  }
}
