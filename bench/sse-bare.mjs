/** A bare `node:http` server: whoever gets is a reader, what is posted is written to every reader. Its own process. */
import { createServer } from 'node:http';

const readers = new Set();

const server = createServer((request, response) => {
  if (request.method === 'GET') {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.flushHeaders();
    readers.add(response);
    response.once('close', () => readers.delete(response));
    return;
  }
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.once('end', () => {
    const bytes = Buffer.concat(chunks);
    for (const reader of readers) reader.write(bytes);
    response.end();
  });
});

server.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }));
process.on('disconnect', () => process.exit(0));
