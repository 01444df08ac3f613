-- Domaeka, as its first version made it: one phone is one bot's, a room is in one bot, statuses are any text.

CREATE TABLE kb_bot_devices (
  id integer PRIMARY KEY AUTOINCREMENT,
  bot_name varchar(30) COLLATE NOCASE NOT NULL,
  device_id varchar(100) COLLATE NOCASE NOT NULL,
  ip_address varchar(45) COLLATE NOCASE,
  client_type varchar(50) COLLATE NOCASE NOT NULL DEFAULT 'MessengerBotR',
  client_version varchar(20) COLLATE NOCASE,
  status varchar(20) COLLATE NOCASE NOT NULL DEFAULT 'pending',
  approved_at datetime,
  rejection_reason text COLLATE NOCASE,
  descryption text COLLATE NOCASE,
  created_at datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
  updated_at datetime,
  UNIQUE (device_id)
);
CREATE INDEX kb_bot_devices_idx_bot_name ON kb_bot_devices (bot_name);

CREATE TABLE kb_rooms (
  room_id varchar(100) COLLATE NOCASE NOT NULL,
  room_name varchar(255) COLLATE NOCASE NOT NULL,
  bot_name varchar(30) COLLATE NOCASE NOT NULL,
  room_concurrency integer DEFAULT 2,
  room_owners text CHECK (room_owners IS NULL OR json_valid(room_owners)),
  owner_type varchar(20) COLLATE NOCASE CHECK (owner_type IN ('distributor', 'agency', 'branch')),
  owner_id varchar(50) COLLATE NOCASE,
  status varchar(20) COLLATE NOCASE NOT NULL DEFAULT 'pending',
  description text COLLATE NOCASE,
  log_settings text CHECK (log_settings IS NULL OR json_valid(log_settings)),
  created_at datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
  updated_at datetime,
  PRIMARY KEY (room_id)
);
CREATE INDEX kb_rooms_idx_bot_name ON kb_rooms (bot_name);

CREATE TABLE kb_chat_logs (
  id integer PRIMARY KEY AUTOINCREMENT,
  channel_id varchar(50) COLLATE NOCASE NOT NULL,
  user_hash varchar(100) COLLATE NOCASE NOT NULL DEFAULT '',
  room_name varchar(255) COLLATE NOCASE NOT NULL DEFAULT '',
  sender varchar(100) COLLATE NOCASE NOT NULL DEFAULT '',
  message text COLLATE NOCASE NOT NULL,
  bot_name varchar(30) COLLATE NOCASE NOT NULL DEFAULT '',
  is_group_chat boolean NOT NULL DEFAULT 0,
  log_id varchar(50) COLLATE NOCASE,
  created_at datetime NOT NULL DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE kb_ping_monitor (
  id integer PRIMARY KEY AUTOINCREMENT,
  bot_name varchar(30) COLLATE NOCASE NOT NULL,
  device_id varchar(100) COLLATE NOCASE NOT NULL,
  client_ip varchar(45) COLLATE NOCASE,
  ping_time_ms integer,
  client_timestamp datetime,
  server_timestamp datetime,
  total_memory integer,
  memory_usage integer,
  memory_percent float,
  message_queue_size integer,
  active_rooms integer,
  created_at datetime NOT NULL DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE kb_servers (
  server_id integer PRIMARY KEY AUTOINCREMENT,
  server_name varchar(100) COLLATE NOCASE NOT NULL,
  server_host varchar(255) COLLATE NOCASE NOT NULL,
  status varchar(20) COLLATE NOCASE NOT NULL DEFAULT 'healthy',
  created_at datetime NOT NULL DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE kb_server_processes (
  process_id integer PRIMARY KEY AUTOINCREMENT,
  server_id integer NOT NULL,
  process_name varchar(100) COLLATE NOCASE NOT NULL,
  port integer NOT NULL,
  type varchar(20) COLLATE NOCASE NOT NULL DEFAULT 'test' CHECK (type IN ('test', 'live')),
  pid integer,
  status varchar(20) COLLATE NOCASE NOT NULL DEFAULT 'stopped',
  last_heartbeat datetime,
  created_at datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
  updated_at datetime,
  UNIQUE (process_name),
  FOREIGN KEY (server_id) REFERENCES kb_servers (server_id) ON DELETE CASCADE
);

CREATE TABLE kb_schedule (
  id integer PRIMARY KEY AUTOINCREMENT,
  title varchar(255) COLLATE NOCASE NOT NULL,
  description text COLLATE NOCASE,
  created_by_type varchar(20) COLLATE NOCASE NOT NULL CHECK (created_by_type IN ('distributor', 'agency', 'branch')),
  created_by_id varchar(50) COLLATE NOCASE NOT NULL,
  created_by_mb_id varchar(50) COLLATE NOCASE NOT NULL,
  target_bot_name varchar(30) COLLATE NOCASE NOT NULL,
  target_room_id varchar(100) COLLATE NOCASE NOT NULL,
  message_text text COLLATE NOCASE,
  message_images_1 text CHECK (message_images_1 IS NULL OR json_valid(message_images_1)),
  message_images_2 text CHECK (message_images_2 IS NULL OR json_valid(message_images_2)),
  send_interval_seconds integer DEFAULT 1,
  schedule_type varchar(20) COLLATE NOCASE NOT NULL CHECK (schedule_type IN ('once', 'weekly', 'daily')),
  schedule_date date,
  schedule_time time NOT NULL,
  schedule_weekdays varchar(70),
  valid_from datetime NOT NULL,
  valid_until datetime NOT NULL,
  status varchar(20) COLLATE NOCASE DEFAULT 'active' CHECK (status IN ('active', 'inactive', 'completed', 'error')),
  last_sent_at datetime,
  next_send_at datetime,
  send_count integer DEFAULT 0,
  created_at datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
  updated_at datetime NOT NULL DEFAULT CURRENT_TIMESTAMP
);

