/**
 * Open connections, and what is under way on each. Node's own `closeIdleConnections` takes one that said nothing, or
 * half of a request, for busy, and times neither once a server closes.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** A request that came as a whole may have been accepted; one that is answered earlier, by a refusal, gets its answer. */
const isBeingAnswered = (response: ServerResponse): boolean => response.req.complete || response.headersSent;

export class Connections {
  private readonly open = new Map<Socket, Set<ServerResponse>>();

  constructor(server: Server) {
    server.on('connection', (socket: Socket) => {
      this.open.set(socket, new Set());
      socket.once('close', () => this.open.delete(socket));
    });
    // Before whoever answers.
    server.prependListener('request', (request: IncomingMessage, response: ServerResponse) => {
      const underWay = this.open.get(request.socket);
      underWay?.add(response);
      response.once('close', () => underWay?.delete(response));
    });
  }

  /** Closes each connection on which nothing is being answered: idle ones, and those with half of a request. */
  closeUnasked(): void {
    for (const [socket, underWay] of this.open) if (![...underWay].some(isBeingAnswered)) socket.destroy();
  }
}
