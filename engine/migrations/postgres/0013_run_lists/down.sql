DROP INDEX run_workflow;
