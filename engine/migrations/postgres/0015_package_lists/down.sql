DROP INDEX package_state;
DROP INDEX package_name;
DROP INDEX package_list;
