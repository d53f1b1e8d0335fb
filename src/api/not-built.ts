/**
 * What the contract names and this version does not serve: it answers 501 `not_implemented`, so that a client can tell
 * "not yet" from "never". Whoever builds a part deletes its lines: a line that names a route that exists stops the start.
 */

export interface NotBuiltRoute {
  /** Of the part that is missing. A path of which no method is built answers 501 to any. */
  readonly methods: readonly string[];
  /** As in a controller: `:name` is one segment, `*` the rest; a colon of the path itself is `::`. */
  readonly path: string;
  readonly part: string;
}

const route = (part: string, methods: string, path: string): NotBuiltRoute => ({
  methods: methods.split(' '),
  path,
  part,
});

export const NOT_BUILT: readonly NotBuiltRoute[] = [
  route('items', 'GET POST', '/v1/jobs/:id/items'),
  route('items', 'POST', '/v1/jobs/:id/items/:itemId/retry'),
  route('families of jobs', 'GET', '/v1/jobs/:id/children'),
  route('what a job waits on', 'GET', '/v1/jobs/:id/why'),
  route('deleting a job', 'DELETE', '/v1/jobs/:id'),
  route('credentials', 'GET PUT DELETE', '/v1/credentials/:name'),
  route('credentials', 'POST', '/v1/credentials/:name/secret'),
  route('workers', 'GET', '/v1/workers'),
  route('workers', 'POST', '/v1/workers/:id'),
  route('workers', 'POST', '/v1/workers/:id/heartbeat'),
  route('limits of queues', 'PUT', '/v1/queues/:name'),
  route('pausing a queue', 'POST', '/v1/queues/:name/pause'),
  route('pausing a queue', 'POST', '/v1/queues/:name/resume'),
  route('the list of what is stuck', 'GET', '/v1/stuck'),
  route('the list of what is stuck', 'GET', '/v1/stuck/summary'),
  route('the list of what is stuck', 'GET', '/v1/streams/stuck'),
  route('commands on many jobs', 'POST', '/v1/admin/jobs::cancel'),
  route('commands on many jobs', 'POST', '/v1/admin/jobs::retry'),
  route('commands on many jobs', 'POST', '/v1/admin/jobs::requeue'),
  route('commands on many jobs', 'POST', '/v1/admin/jobs::purge'),
  ...['alerts', 'schedules', 'export'].flatMap((name) =>
    ['', '/*'].map((rest) => route(name, 'GET POST PUT PATCH DELETE', `/v1/${name}${rest}`)),
  ),
];
