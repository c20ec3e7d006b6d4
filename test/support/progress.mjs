/**
 * Says after each suite how many are done, how long that took and how long the whole will take, where Jest itself
 * does not: without a terminal. The expected duration is Jest's own, of the suites' last runs here.
 */
export default class Progress {
  #began = Date.now();
  #expected = '';

  onRunStart(_results, { estimatedTime }) {
    this.#began = Date.now();
    if (estimatedTime > 0) this.#expected = ` of about ${duration(estimatedTime)}`;
  }

  onTestResult(_test, _result, { numTotalTestSuites, ...results }) {
    if (process.stderr.isTTY) return;
    const done =
      results.numPassedTestSuites + results.numFailedTestSuites + results.numPendingTestSuites;
    const took = duration((Date.now() - this.#began) / 1000);
    process.stderr.write(`${done} of ${numTotalTestSuites} suites, ${took}${this.#expected}\n`);
  }
}

/** @param seconds of any size */
function duration(seconds) {
  const whole = Math.round(seconds);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}
