// Pays for a page. BURSAR_URL=... BURSAR_TOKEN=... SELLER=... node examples/five-lines.mjs
import { Bursar } from '@bursar/sdk';

const bursar = Bursar.fromEnv();
const response = await bursar.fetch(`${process.env.SELLER}/data/7`, { maxAmount: '0.05' });
console.log(await response.json(), bursar.paymentOf(response)?.amount);
