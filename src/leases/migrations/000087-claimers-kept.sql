-- After a crash of the database people ask why jobs do not move: then least of all may it be forgotten who asked for them.
-- It is written every two seconds at most.
alter table jobledger.claimers set logged;
