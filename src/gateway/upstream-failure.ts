/** The upstream did not answer, or not completely. The message completes "the upstream". */
export class UpstreamFailure extends Error {}
