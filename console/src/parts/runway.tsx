import type { Wallet } from '../api.js';
import { decimal, exact, sum } from '../format.js';
import { useHour } from '../live.js';
import { useSpend } from '../reads.js';
import { Money } from './bits.js';

const DAY_MS = 86_400_000;

/** Runway from which on it is told in days, in hours. */
const LONG_HOURS = 72n;
const YEAR_HOURS = 8_760n;

/** Balance of each network, and how long what is free of it lasts at the pace of the last day. */
export function Runway({ wallets }: { wallets: readonly Wallet[] }) {
  const from = new Date(useHour() - DAY_MS).toISOString();
  const { data } = useSpend(['network'], { from });
  if (!data) return null;
  const networks = [...new Set(wallets.map(({ network, currency }) => `${network} ${currency}`))];
  return (
    <section className="card" aria-labelledby="runway">
      <h2 id="runway">Runway at the pace of the last day</h2>
      <ul className="rows">
        {networks.map((each) => {
          const [network, currency] = each.split(' ');
          const own = wallets.filter(
            (wallet) => wallet.network === network && wallet.currency === currency,
          );
          const free = own
            .filter(({ status }) => status === 'active')
            .reduce((total, wallet) => total + exact(wallet.free), 0n);
          const spent = data.items
            .filter(({ group, currency: of }) => group.network === network && of === currency)
            .reduce((total, { settled, open }) => total + exact(settled) + exact(open), 0n);
          return (
            <li key={each}>
              <span className="grow">
                <strong>{network}</strong>
                <br />
                <span className="soft">
                  <Money amount={sum(own.map(({ balance }) => balance))} currency={currency} />,{' '}
                  <Money amount={decimal(free)} /> of it free, <Money amount={decimal(spent)} />{' '}
                  paid in a day
                </span>
              </span>
              <span className="num">{lasting(free, spent)}</span>
            </li>
          );
        })}
      </ul>
    </section>
  );
}

/** Tells how long an amount lasts when so much of it goes in a day. */
function lasting(free: bigint, spentInDay: bigint): string {
  if (spentInDay === 0n) return 'nothing was spent';
  const hours = (free * 24n) / spentInDay;
  if (hours === 0n) return 'less than an hour';
  if (hours > YEAR_HOURS) return 'over a year';
  return hours < LONG_HOURS ? `about ${hours} h` : `about ${hours / 24n} days`;
}
