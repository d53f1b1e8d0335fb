/** Imported first by a test file of `test/second-log`: what it imports then runs over a log in EventStoreDB. */
process.env['JOBLEDGER_TEST_LOG'] = 'eventstoredb';
