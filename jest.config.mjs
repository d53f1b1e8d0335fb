import { availableParallelism } from 'node:os';

const jsc = {
  target: 'es2022',
  parser: { syntax: 'typescript', decorators: true },
  transform: { legacyDecorator: true, decoratorMetadata: true, useDefineForClassFields: false },
  keepClassNames: true,
};
// ES modules that CommonJS packages require(): Jest's loader on Node 20 cannot, so they are compiled.
const esmOnly = '(?:cookie|content-disposition)';

/** @type {import('jest').Config} */
export default {
  rootDir: '.',
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': ['@swc/jest', { jsc, module: { type: 'es6' }, sourceMaps: 'inline' }],
    [`/node_modules/${esmOnly}/.+\\.js$`]: [
      '@swc/jest',
      { jsc: { target: 'es2022', parser: { syntax: 'ecmascript' } }, module: { type: 'commonjs' } },
    ],
  },
  transformIgnorePatterns: [`/node_modules/(?!(?:.*/node_modules/)?${esmOnly}/)`],
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  testMatch: ['<rootDir>/test/**/*.spec.ts'],
  setupFiles: ['reflect-metadata', '<rootDir>/test/support/seeds.ts'],
  globalSetup: '<rootDir>/test/support/global-setup.mjs',
  globalTeardown: '<rootDir>/test/support/global-teardown.mjs',
  // Most tests wait for a process or a database; Jest's own choice on two cores is one file at a time.
  maxWorkers: Math.max(2, availableParallelism() - 1),
  workerIdleMemoryLimit: '400MB',
  // It bounds a test that has failed: a starved machine has taken a minute to start a process.
  testTimeout: 180_000,
};
