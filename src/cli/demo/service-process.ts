/**
 * The service of a demo that found none: the program as it is, in a process of its own that ends with the demo, however
 * that ends, and takes its data along.
 */
import { rmSync } from 'node:fs';

const dataDir = process.env['JOBLEDGER_DATA_DIR'];
if (dataDir === undefined || process.send === undefined) throw new Error('this process is started by the demo');

// Emitted, not sent: where there are no signals, a process that sends itself one is killed.
const stop = (): boolean => process.emit('SIGTERM', 'SIGTERM');
process.once('disconnect', stop);
process.once('exit', () => rmSync(dataDir, { recursive: true, force: true, maxRetries: 5 }));
await import('../../main.js');
// Before the program listened for signals, none reached it.
if (!process.connected) stop();
