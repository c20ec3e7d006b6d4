/** Has this process answer the orders of the one that started it, one at a time, and end with it. */
export function answerOrders<Order, Result>(answer: (order: Order) => Promise<Result>): void {
  process.on('message', (order: Order) => {
    answer(order).then(
      (result) => process.send?.({ result }),
      (error: unknown) =>
        process.send?.({
          error: error instanceof Error ? (error.stack ?? error.message) : String(error),
        }),
    );
  });
  process.on('disconnect', () => process.exit(0));
}
