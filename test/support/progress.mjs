/**
 * Says after each suite how many are done, how long that took and how long the whole will take, where Jest itself
 * does not: without a terminal. The whole takes as long as Jest knows from the suites' last runs here, or longer where
 * those that are done took their time: a fresh checkout knows no last runs.
 */
export default class Progress {
  #began = Date.now();
  #estimated = 0;

  onRunStart(_results, { estimatedTime }) {
    this.#began = Date.now();
    this.#estimated = estimatedTime;
  }

  onTestResult(_test, _result, { numTotalTestSuites: all, ...results }) {
    if (process.stderr.isTTY) return;
    const done =
      results.numPassedTestSuites + results.numFailedTestSuites + results.numPendingTestSuites;
    const seconds = (Date.now() - this.#began) / 1000;
    const whole = Math.max(this.#estimated, (seconds * all) / done);
    const of = done < all ? ` of about ${duration(whole)}` : '';
    process.stderr.write(`${done} of ${all} suites, ${duration(seconds)}${of}\n`);
  }
}

/** @param seconds of any size */
function duration(seconds) {
  const whole = Math.round(seconds);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}
