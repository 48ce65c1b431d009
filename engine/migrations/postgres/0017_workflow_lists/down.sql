DROP INDEX package_digest;
DROP INDEX workflow_package;
DROP INDEX workflow_name;
DROP INDEX workflow_list;
