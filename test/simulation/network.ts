import type { SimulatedNode } from './node.js';
import type { Process, Scheduler } from './scheduler.js';

/** Thrown at a client that got no answer: it does not know what happened. */
export class Disconnected extends Error {}

export const toError = (thrown: unknown): Error => (thrown instanceof Error ? thrown : new Error(String(thrown)));

/** Calls of clients to nodes: there and back are two tasks, and either may find the other side dead. */
export class Network {
  constructor(
    private readonly scheduler: Scheduler,
    /** Whether the answer of a call is lost. */
    private readonly loses: () => boolean,
  ) {}

  /** @throws Disconnected when the node died, or the answer was lost */
  call<T>(from: Process, node: SimulatedNode, label: string, run: () => Promise<T>): Promise<T> {
    const { scheduler } = this;
    const lost = this.loses();
    return new Promise<T>((resolve, reject) => {
      let open = true;
      const back = (text: string, settle: () => void): void => {
        if (!open) return;
        open = false;
        node.waiters.delete(waiter);
        scheduler.enqueue(`${from.name} < ${label}${text}`, from, settle);
      };
      const waiter = { fail: () => back(' disconnected', () => reject(new Disconnected())) };
      if (!node.alive) {
        waiter.fail();
        return;
      }
      node.waiters.add(waiter);
      scheduler.enqueue(`${node.name} called: ${label} by ${from.name}`, node, () => {
        run().then(
          (value) => (lost ? waiter.fail() : back('', () => resolve(value))),
          (error: unknown) => {
            if (lost) waiter.fail();
            else back(' refused', () => reject(toError(error)));
          },
        );
      });
    });
  }
}
