/**
 * Who may import whom. Read a row as: files in this folder may import these folders (and themselves).
 * `docs/architecture.md` says why.
 */
const mayImport = {
  domain: [],
  'event-store': [],
  leases: ['domain', 'event-store'],
  projections: ['domain', 'event-store'],
  commands: ['domain', 'event-store', 'leases', 'projections'],
  reaper: ['domain', 'event-store', 'leases', 'commands', 'projections'],
  api: ['domain', 'event-store', 'leases', 'commands', 'projections', 'reaper'],
  client: [],
};
const rootFile = (...names) => `^src/(${names.join('|')})[.]ts$`;

/** @type {import('dependency-cruiser').IConfiguration} */
export default {
  forbidden: [
    {
      name: 'no-circular',
      comment: 'Import cycles hide the architecture, and break decorated classes under ESM.',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'domain-is-pure',
      comment: 'The domain is functions over data: no framework, no database, no Node.',
      severity: 'error',
      from: { path: '^src/domain/' },
      to: { pathNot: ['^src/domain/', 'node_modules/xstate/'] },
    },
    ...Object.entries(mayImport).map(([folder, allowed]) => ({
      name: `${folder}-imports`,
      severity: 'error',
      from: { path: `^src/${folder}/` },
      to: {
        path: '^src/',
        pathNot: [
          `^src/(${[folder, ...allowed].join('|')})/`,
          rootFile('telemetry', 'tracing'),
          '^src/api/contract[.]ts$',
        ],
      },
    })),
    {
      name: 'adapters-are-chosen-at-the-root',
      comment:
        'Depend on the EventStore port; only the composition roots name an adapter. The format of array parameters, the reading of JSON, the size of batches and a cache are none.',
      severity: 'error',
      from: {
        path: '^src/',
        pathNot: [
          '^src/event-store/',
          '^src/cli/',
          rootFile('service', 'open-log', 'log-readers', 'reads', 'app.module', 'main'),
        ],
      },
      to: {
        path: '^src/event-store/',
        pathNot:
          '^src/event-store/(event-store|beside-table|event-filter|event-bytes|canonical-json|json-object|batch-size|recent|postgres/binary-array)[.]ts$',
      },
    },
    {
      name: 'contract-is-types-only-outside-the-api',
      comment: 'The SDK ships without the server.',
      severity: 'error',
      from: { path: '^src/client/' },
      to: { path: '^src/api/contract[.]ts$', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'nest-free-sdk',
      severity: 'error',
      from: { path: '^src/client/' },
      to: { path: 'node_modules/(@nestjs|pg|rxjs)/' },
    },
    {
      name: 'sql-stays-with-its-tables',
      comment: 'The folder that owns a table owns the SQL that reads and writes it.',
      severity: 'error',
      from: {
        path: '^src/',
        pathNot: [
          '^src/(event-store/(postgres|eventstoredb)|leases|projections|cli)/',
          '^src/commands/(answers|job-logs)[.]ts$',
          '^src/reaper/sweeps[.]ts$',
          rootFile('service', 'reads', 'app.module', 'main'),
        ],
      },
      to: { path: 'node_modules/(pg|@types/pg)/', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'documentation-is-loaded-when-asked',
      comment: 'A process that nobody asks for its document does without a quarter of all modules.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/api/openapi([.]ts$|/)' },
      to: {
        path: ['^src/api/openapi([.]ts$|/)', 'node_modules/@nestjs/swagger/'],
        dependencyTypesNot: ['dynamic-import', 'type-only'],
      },
    },
    { name: 'src-never-imports-test', severity: 'error', from: { path: '^src/' }, to: { path: '^test/' } },
    {
      name: 'no-orphans',
      severity: 'error',
      from: { orphan: true, path: '^src/', pathNot: ['^src/(main|telemetry|cli/.+|client/client)[.]ts$'] },
      to: {},
    },
  ],
  options: {
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
    },
  },
};
