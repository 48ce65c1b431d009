DROP TABLE package_host;
