/** What `npm run soak` says of itself: read before anything is installed or built. */
export const HELP = `npm run soak [-- options]

Two processes of the service on one PostgreSQL of their own, clients, workers and readers of streams that do all that the
API allows, and faults by chance: processes are killed, frozen, stopped; the database crashes, stops, hangs, is locked, is
cut off from one of them; clients are cut off; read models are rebuilt. Every call is kept. Every 40 s (120 s with --load
many) faults stop, what is there is worked off, and all that anybody was told is held against the log, by the rules of the
end-to-end tests.

  --minutes N       how long, 1 to 1440 (3)
  --lifecycles N    until so many runs have ended, instead of --minutes
  --log NAME        postgres (default) or eventstoredb: the fake server of the tests, or the one of EVENTSTOREDB_URL
                    (EVENTSTOREDB_COMMAND: starts it, so that it can be made to fail; see docs/soak.md)
  --load NAME       all (default): what the API allows, a job at a time; or many: jobs by the dozen, whose attempts share
                    requests, for some ten times as many lifecycles
  --seed N          where chance starts; printed, so that a run can be had again. Calls interleave otherwise each time
  --faults A,B      these alone (all): docs/soak.md lists them
  --keep FOLDER     what the processes print goes there, and when a rule is broken, calls, events, faults and jobs
  --help            this

Examples:
  npm run soak
  npm run soak -- --minutes 15 --keep soak-today
  npm run soak -- --lifecycles 5000 --seed 7
  npm run soak -- --faults freeze,stall,lockJobs
  npm run soak -- --log eventstoredb
  npm run soak -- --load many --lifecycles 100000

Exit codes:
  0    no rule was broken
  1    a rule was broken: which, with the history of the jobs, is printed
  2    the command line is wrong
  3    it could not be run: the processes or the database did not start
  130  interrupted: what was judged until then is printed`;
