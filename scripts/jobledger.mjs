#!/usr/bin/env node
/** `npx jobledger`, and behind `npm start`, `npm run db`, `npm run demo`. */
import { launch } from './launch.mjs';

await launch({ file: 'dist/cli/jobledger.js', args: process.argv.slice(2) });
