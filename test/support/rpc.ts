export { rpc } from '../../faults/rpc.js';
