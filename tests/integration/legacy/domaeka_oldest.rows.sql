INSERT INTO kb_bot_devices
  (bot_name, device_id, ip_address, client_version, status, approved_at, rejection_reason, descryption, created_at)
VALUES
  ('달빛봇', 'a1b2c3d4e5f60718', '192.168.0.21', '3.1.4', 'approved', '2025-07-01 09:30:00', NULL, '매장 카운터 폰 📱', '2025-07-01 09:12:44'),
  ('달빛봇', 'b2c3d4e5f6071829', '192.168.0.22', '3.1.4', 'pending', NULL, NULL, NULL, '2025-07-03 13:58:31'),
  ('demo-bot', 'c3d4e5f60718293a', '10.8.0.14', '3.1.3', 'rejected', NULL, '등록되지 않은 기기', NULL, '2025-07-11 08:41:19'),
  ('demo-bot', 'd4e5f60718293a4b', '10.8.0.15', '3.1.3', 'suspended', '2025-07-02 10:00:00', '분실 신고 🔒', NULL, '2025-07-02 09:55:00'),
  ('demo-bot', 'e5f60718293a4b5c', '203.0.113.7', NULL, 'Approved', '2025-07-05 12:00:00', NULL, '손으로 고친 줄', '2025-07-05 11:58:00');

INSERT INTO kb_rooms
  (room_id, room_name, bot_name, room_concurrency, room_owners, owner_type, owner_id, status, log_settings, created_at)
VALUES
  ('18398338829933617_달빛봇', '동네 사랑방 🏘️', '달빛봇', 2, '["김철수","이영희"]', 'branch', 'BR001', 'approved', '{"enabled":true,"retention_days":30}', '2025-07-01 09:30:40'),
  ('18398338829933617_demo-bot', '동네 사랑방 🏘️', 'demo-bot', 2, NULL, NULL, NULL, 'pending', NULL, '2025-07-02 10:05:00'),
  ('18398338829933618_demo-bot', '공지방', 'demo-bot', 2, NULL, NULL, NULL, 'approved', NULL, '2025-07-10 18:01:00'),
  ('18398338829933619_demo-bot', '광고방', 'demo-bot', 2, NULL, NULL, NULL, 'rejected', NULL, '2025-07-10 18:02:00');

INSERT INTO kb_chat_logs
  (channel_id, user_hash, room_name, sender, message, bot_name, is_group_chat, log_id, created_at)
VALUES
  ('18398338829933617', '5f2b1c9e', '동네 사랑방 🏘️', '김철수', '오늘 딸기 들어왔나요? 🍓', '달빛봇', 1, '3312456789012345678', '2025-07-15 10:20:02'),
  ('18398338829933617', '5f2b1c9e', '동네 사랑방 🏘️', '김철수', '# echo 가족 👨‍👩‍👧‍👦', '달빛봇', 1, '3312456789012345679', '2025-07-15 10:21:30');

INSERT INTO kb_ping_monitor
  (bot_name, device_id, client_ip, ping_time_ms, client_timestamp, server_timestamp, total_memory, memory_usage, memory_percent, message_queue_size, active_rooms, created_at)
VALUES
  ('달빛봇', 'a1b2c3d4e5f60718', '192.168.0.21', 48, '2025-07-15 10:20:30', '2025-07-15 10:20:30', 5632, 2890, 51.25, 0, 2, '2025-07-15 10:20:30');

INSERT INTO kb_servers (server_id, server_name, server_host, status, created_at)
VALUES (1, 'domaeka-main', 'localhost', 'healthy', '2025-01-22 00:00:00');

INSERT INTO kb_server_processes (server_id, process_name, port, type, pid, status, last_heartbeat, created_at)
VALUES (1, 'domaeka-live-01', 1496, 'live', 4711, 'running', '2025-07-15 10:20:30', '2025-01-22 00:00:00');

INSERT INTO kb_schedule
  (id, title, created_by_type, created_by_id, created_by_mb_id, target_bot_name, target_room_id, message_text, message_images_1, schedule_type, schedule_time, schedule_weekdays, valid_from, valid_until, status, next_send_at, created_at, updated_at)
VALUES
  (1, '아침 인사', 'branch', 'BR001', 'admin', '달빛봇', '18398338829933617_달빛봇', '좋은 아침입니다 ☀️', NULL, 'weekly', '09:00:00', 'monday,friday', '2025-07-01 00:00:00', '2035-12-31 23:59:59', 'active', '2025-07-18 09:00:00', '2025-07-01 10:00:00', '2025-07-01 10:00:00');
